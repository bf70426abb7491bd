"""The model card's section on use: commands, and what loading the model runs."""

from __future__ import annotations

from handsigns.config.user_code import user_functions
from handsigns.console.program import CONSOLE_SCRIPT
from handsigns.results.winner import CONFIG_FILE, MODEL_FILE, ModelCard

_NO_CODE = (
    f"`{MODEL_FILE}` has the weights and `{CONFIG_FILE}` all that is needed to rebuild the "
    f"network;\nloading them runs no code."
)
_USER_CODE = (
    f"`{MODEL_FILE}` has the weights and `{CONFIG_FILE}` the hyperparameters; the network is the "
    f"code in\n`user_code/`, which loading the model runs."
)


def usage_section(card: ModelCard) -> str:
    """Return commands and Python code that use the model, as Markdown."""
    # Search names have no other characters, but a manipulated card may.
    name = "".join(c for c in card.search if c.isascii() and (c.isalnum() or c in "._-"))
    has_code = bool(user_functions([card.config.architecture]))
    option = " --trust-user-code" if has_code else ""
    argument = ", trust_user_code=True" if has_code else ""
    return f"""## How to use it

```
{CONSOLE_SCRIPT} predict {name} photo.jpg{option}
{CONSOLE_SCRIPT} serve {name}{option}
{CONSOLE_SCRIPT} export {name} --format onnx{option}
```

```python
import handsigns

winner = handsigns.load_winner("{name}"{argument})
for prediction in handsigns.predict(winner, ["photo.jpg"]):
    print(prediction.label, prediction.probabilities)
```

{_USER_CODE if has_code else _NO_CODE}"""
