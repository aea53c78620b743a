"""Practice prompts: `planning` makes and steers them, `firing` lets them go out, `lists` shows them, `handing` passes them on."""
