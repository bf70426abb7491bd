"""One-line descriptions of failed trials."""

import traceback

from handsigns.console.failure import group_failures, parse_failure

TRACEBACK = """Traceback (most recent call last):
  File "/opt/venv/lib/python3.12/site-packages/handsigns/tuning/trainable.py", line 41, in run_trial
    _train_and_report(TrialSpec.from_dict(config), task)
  File "/opt/venv/lib/python3.12/site-packages/torch/nn/modules/module.py", line 1751, in _call
    return forward_call(*args, **kwargs)
  File "/home/ann/hand signs/my_net.py", line 12, in forward
    raise ValueError(
    ^^^^^^^^^^^^^^^^^
  File "/opt/venv/lib/python3.12/site-packages/torch/nn/functional.py", line 9, in linear
    return torch._C._nn.linear(input)
           ^^^^^^^^^^^^^^^^^^^^^^^^^^
RuntimeError: shapes cannot be multiplied
a second line of the message
"""


def test_innermost_user_frame_is_named():
    failure = parse_failure(TRACEBACK)
    assert failure.error == "RuntimeError: shapes cannot be multiplied"
    assert failure.location == "/home/ann/hand signs/my_net.py, line 12, in forward"
    assert "\n" not in str(failure)


def test_checkout_of_this_package_is_not_user_code():
    elsewhere = TRACEBACK.replace("/home/ann/hand signs/my_net.py", "/srv/handsigns/errors.py")
    assert parse_failure(elsewhere).location == ""
    user_code = TRACEBACK.replace("/home/ann/hand signs/my_net.py", "/srv/handsigns/my_net.py")
    assert parse_failure(user_code).location.startswith("/srv/handsigns/my_net.py, line 12")


def test_chained_exceptions_and_syntax_errors():
    try:
        try:
            raise KeyError("first")
        except KeyError:
            compile("x = (", "net.py", "exec")
    except SyntaxError:
        failure = parse_failure(traceback.format_exc())
    assert failure.error.startswith("SyntaxError: ")
    assert failure.location == "net.py, line 1"


def test_errors_without_a_traceback():
    died = "the trial's process died: out of memory\nit had been retried 3 times"
    assert str(parse_failure(died)) == died.replace("\n", "; ")
    assert str(parse_failure("")) == "unknown reason"
    assert len(str(parse_failure("ValueError: " + "x" * 5000))) <= 240


def test_trials_with_the_same_failure_are_grouped():
    groups = group_failures([("0001", TRACEBACK), ("0002", "killed"), ("0007", TRACEBACK)])
    assert [trials for _, trials in groups] == [["0001", "0007"], ["0002"]]
