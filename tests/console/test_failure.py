"""What is said of a trial that failed."""

import traceback

from handsigns.console.failure import failure_of, failures

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


def test_the_innermost_frame_of_the_user_is_named():
    failure = failure_of(TRACEBACK)
    assert failure.error == "RuntimeError: shapes cannot be multiplied"
    assert failure.location == "/home/ann/hand signs/my_net.py, line 12, in forward"
    assert "\n" not in str(failure)


def test_a_checkout_of_this_package_is_not_the_users():
    elsewhere = TRACEBACK.replace("/home/ann/hand signs/my_net.py", "/srv/handsigns/errors.py")
    assert failure_of(elsewhere).location == ""
    own = TRACEBACK.replace("/home/ann/hand signs/my_net.py", "/srv/handsigns/my_net.py")
    assert failure_of(own).location.startswith("/srv/handsigns/my_net.py, line 12")


def test_chained_exceptions_and_syntax_errors():
    try:
        try:
            raise KeyError("first")
        except KeyError:
            compile("x = (", "net.py", "exec")
    except SyntaxError:
        failure = failure_of(traceback.format_exc())
    assert failure.error.startswith("SyntaxError: ")
    assert failure.location == "net.py, line 1"


def test_without_a_traceback():
    died = "the trial's process died: out of memory\nit had been started anew 3 times"
    assert str(failure_of(died)) == died.replace("\n", "; ")
    assert str(failure_of("")) == "no reason is known"
    assert len(str(failure_of("ValueError: " + "x" * 5000))) <= 240


def test_trials_that_failed_alike_are_told_of_together():
    found = failures([("0001", TRACEBACK), ("0002", "killed"), ("0007", TRACEBACK)])
    assert [trials for _, trials in found] == [["0001", "0007"], ["0002"]]
