"""Practice prompts that leaders plan: `planning` makes and steers them, `firing` lets them go out by the clock, `lists` shows them."""
