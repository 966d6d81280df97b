"""Reading metered requests: what is refused, what is kept, what is spliced."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.core.request import BadRequest, Dialect, MeteredRequest, read_request, upstream_body
from tallygate.core.token_estimate import BINARY_TOKENS, estimate_tokens

CHAT = Dialect.OPENAI_CHAT
COMPACT = (",", ":")


def read(body: bytes | dict[str, object], dialect: Dialect = CHAT) -> MeteredRequest:
    if isinstance(body, dict):
        body = json.dumps(body).encode()
    return read_request(dialect, body)


def test_what_is_absent_has_its_default():
    request = read(b'{"model":"m","messages":[]}')
    assert (request.model, request.is_stream, request.wants_usage_chunk) == ("m", False, False)
    assert (request.max_output_tokens, request.choices) == (None, 1)


def test_null_is_as_absent():
    request = read(b'{"model":"m","stream":null,"n":null,"max_tokens":null,"stream_options":null}')
    assert (request.is_stream, request.max_output_tokens, request.choices) == (False, None, 1)


def test_everything_named_is_read():
    request = read(
        {
            "messages": [{"role": "user", "content": 'say "model", "n": 3'}],
            "max_completion_tokens": 300,
            "n": 2,
            "stream": True,
            "stream_options": {"include_usage": True},
            "model": "中文/m\u00f6del",
        }
    )
    assert request.model == "中文/mödel"
    assert request.is_stream
    assert request.wants_usage_chunk
    assert request.max_output_tokens == 300
    assert request.choices == 2


WRONG = {
    "empty": b"",
    "blank": b"  ",
    "not an object": b'["model"]',
    "null": b"null",
    "cut": b'{"model":"m"',
    "trailing comma": b'{"model":"m",}',
    "trailing garbage": b'{"model":"m"} x',
    "two objects": b'{"model":"m"}{"model":"m"}',
    "NUL after": b'{"model":"m"}\x00',
    "NUL inside": b'{"model":"m","x":"a\x00b"}',
    "NUL in the model": b'{"model":"m\\u0000"}',
    "BOM": b'\xef\xbb\xbf{"model":"m"}',
    "UTF-16": '{"model":"m"}'.encode("utf-16"),
    "bad UTF-8 in a skipped string": b'{"model":"m","x":"\xff"}',
    "bad UTF-8 in the model": b'{"model":"\xff"}',
    "surrogate in UTF-8": b'{"model":"m","x":"\xed\xa0\x80"}',
    "overlong UTF-8": b'{"model":"m","x":"\xc0\xaf"}',
    "lone surrogate": b'{"model":"\\ud800"}',
    "NaN": b'{"model":"m","x":NaN}',
    "no model": b'{"messages":[]}',
    "null model": b'{"model":null}',
    "number as model": b'{"model":1}',
    "list as model": b'{"model":["m"]}',
    "empty model": b'{"model":""}',
    "long model": b'{"model":"' + b"m" * 257 + b'"}',
    "newline in the model": b'{"model":"m\\nX-Evil: 1"}',
    "delete in the model": b'{"model":"m\x7f"}',
    "stream as number": b'{"model":"m","stream":1}',
    "stream as string": b'{"model":"m","stream":"true"}',
    "n zero": b'{"model":"m","n":0}',
    "n negative": b'{"model":"m","n":-1}',
    "n large": b'{"model":"m","n":129}',
    "n float": b'{"model":"m","n":1.0}',
    "n huge": b'{"model":"m","n":' + b"9" * 5000 + b"}",
    "n string": b'{"model":"m","n":"1"}',
    "n boolean": b'{"model":"m","n":true}',
    "max_tokens negative": b'{"model":"m","max_tokens":-1}',
    "max_tokens float": b'{"model":"m","max_tokens":1e3}',
    "max_tokens string": b'{"model":"m","max_tokens":"9"}',
    "max_completion_tokens negative": b'{"model":"m","max_completion_tokens":-5}',
    "options as list": b'{"model":"m","stream_options":[]}',
    "include_usage as string": b'{"model":"m","stream_options":{"include_usage":"yes"}}',
    "deep": b'{"model":"m","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep, cut": b'{"model":"m","x":' + b'{"a":' * 100_000,
    "deep model": b'{"model":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "too wide": b'{"model":"m"' + b"".join(b',"k%d":1' % i for i in range(2000)) + b"}",
    "a name without end": b'{"model":"m","' + b"k" * 70_000 + b'":1}',
}


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG)
def test_a_wrong_body_is_refused_in_public_words(body):
    with pytest.raises(BadRequest) as caught:
        read(body)
    assert caught.value.message.endswith(".")
    assert len(caught.value.message) < 250


@pytest.mark.parametrize("param", ["model", "stream", "n", "max_tokens"])
def test_a_refusal_names_the_parameter(param):
    with pytest.raises(BadRequest) as caught:
        read({"model": "m", param: {}})
    assert caught.value.param == param


TWICE = {
    "model": b'"model":"b"',
    "escaped model": b'"mod\\u0065l":"b"',
    "escaped upper hex": b'"\\u006D\\u006fdel":"b"',
    "title case": b'"Model":"b"',
    "upper case": b'"MODEL":"b"',
    "stream": b'"stream":true',
    "long s": '"ſtream":true'.encode(),
    "stream_options": b'"stream_options":{"include_usage":true}',
    "camel stream_options": b'"Stream_Options":{}',
    "n": b'"n":1',
    "upper n": b'"N":4',
    "max_tokens": b'"max_tokens":1',
    "kelvin sign": '"max_to\u212aens":1'.encode(),
    "max_completion_tokens": b'"max_completion_tokens":9',
    "max_output_tokens": b'"max_output_tokens":9',
    "a future bound": b'"max_thinking_tokens":9',
}
ONCE = (
    b'"model":"a","stream":false,"stream_options":null,"n":1,"max_tokens":5,'
    b'"max_completion_tokens":5,"max_output_tokens":5,"max_thinking_tokens":5'
)


@pytest.mark.parametrize("gap", [b"", b" ", b"\n\t "], ids=["tight", "space", "blanks"])
@pytest.mark.parametrize("is_first", [True, False], ids=["first", "last"])
@pytest.mark.parametrize("member", TWICE.values(), ids=TWICE)
def test_a_guarded_member_in_two_spellings_is_refused(member, is_first, gap):
    """Another parser might read the other one, and the answer would go uncounted."""
    members = [member, ONCE] if is_first else [ONCE, member]
    body = b"{" + gap + (gap + b"," + gap).join(members) + gap + b"}"
    with pytest.raises(BadRequest, match=r"once|lower case"):
        read(body)


@pytest.mark.parametrize("name", ["Model", "STREAM", "Max_Tokens", "N"])
def test_a_case_variant_alone_is_refused(name):
    """Some parsers would read it; ours would not."""
    with pytest.raises(BadRequest, match="lower case"):
        read({"model": "m", name: 1})


def test_a_name_with_a_line_break_lets_no_variant_through_after_it():
    """What is harmless is remembered by joined names, which do not tell where one ends."""
    read({"model": "m", "x\nStream": 1})
    with pytest.raises(BadRequest, match="lower case"):
        read({"model": "m", "x": 1, "Stream": 1})


FINE = {
    "nested": b'{"model":"m","messages":[{"model":"x","model":"y","stream":true,"n":9}]}',
    "in a string": b'{"model":"m","messages":[{"content":"\\"model\\":\\"x\\", \\"n\\": 2"}]}',
    "string that is a name": b'{"model":"m","stop":["model"],"user":"model"}',
    "escape alone": b'{"mod\\u0065l":"m"}',
    "blanks": b' {\n "model" : "m" ,\r\n\t"stop" : [ 1 , { } ] } \n',
    "a plain one twice": b'{"temperature":0.1,"model":"m","temperature":0.15}',
    "a string twice": b'{"user":"a\\"b","model":"m", "user":"c"}',
    "metadata": b'{"metadata":{"Model":1,"model":2},"model":"m"}',
}


@pytest.mark.parametrize("body", FINE.values(), ids=FINE)
def test_what_is_clear_is_accepted_and_untouched(body):
    request = read(body)
    assert request.model == "m"
    assert upstream_body(request, model=None) is body


def test_a_large_member_twice_is_refused():
    """Which messages would be answered, and which would a guard have read?"""
    with pytest.raises(BadRequest, match="'messages' is there more than once"):
        read(b'{"model":"m","messages":[1],"messages":[1,2]}')


@pytest.mark.parametrize("body", FINE.values(), ids=FINE)
def test_only_the_models_name_is_changed(body):
    changed = upstream_body(read(body), model='ü"b')
    assert read(changed).model == 'ü"b'
    assert changed.replace('"ü\\"b"'.encode(), b'"m"') == body


def test_the_same_model_changes_nothing():
    request = read(b'{"model":"m"}')
    assert upstream_body(request, model="m") is request.body


ASKING = {
    "absent": (b"", {}),
    "null": (b',"stream_options":null', {}),
    "empty": (b',"stream_options":{}', {}),
    "false": (b', "stream_options" : {"include_usage": false }', {}),
    "null inside": (b',"stream_options":{"include_usage":null}', {}),
    "others": (b',"stream_options":{"x":[1, 2],"include_usage":false}', {"x": [1, 2]}),
    "hidden": (b',"stream_options":{"include_usage":false,"include_usage":true}', {}),
    "escaped": (b',"stream_options":{"include_usag\\u0065":false,"include_usage":true}', {}),
    "folded": (b',"stream_options":{"Include_Usage":false,"include_usage":true}', {}),
    "long s": (',"stream_options":{"include_uſage":false,"include_usage":true}'.encode(), {}),
}


@pytest.mark.parametrize("dialect", [CHAT, Dialect.OPENAI_COMPLETIONS])
@pytest.mark.parametrize(("options", "kept"), ASKING.values(), ids=ASKING)
def test_a_stream_always_asks_upstream_for_usage(options, kept, dialect):
    body = b'{"stream":true' + options + b',"model":"m","stop":[ 1]}'
    request = read(body, dialect)
    for model in (None, "other"):
        sent = upstream_body(request, model=model)
        assert sent.endswith(b',"stop":[ 1]}')
        assert sent.count(b"stream_options") == sent.lower().count(b"include_usage") == 1
        expected = {"stream": True, "model": model or "m", "stop": [1]}
        assert json.loads(sent) == {**expected, "stream_options": {**kept, "include_usage": True}}


@pytest.mark.parametrize("options", [b'{"include_usage":true}', b'{ "a":1, "include_usage": true}'])
def test_a_stream_that_asks_already_is_untouched(options):
    request = read(b'{"stream":true,"model":"m","stream_options":' + options + b"}")
    assert request.wants_usage_chunk
    assert upstream_body(request, model=None) is request.body


@pytest.mark.parametrize(
    "dialect",
    [Dialect.ANTHROPIC_MESSAGES, Dialect.OPENAI_RESPONSES, Dialect.OPENAI_EMBEDDINGS],
)
def test_other_dialects_are_never_asked(dialect):
    request = read(b'{"stream":true,"model":"m"}', dialect)
    assert not request.wants_usage_chunk
    assert upstream_body(request, model=None) is request.body


def test_a_plain_answer_is_never_asked():
    request = read(b'{"model":"m","stream":false}')
    assert upstream_body(request, model=None) is request.body


BOUNDS = [
    (CHAT, {"max_tokens": 5}, 5),
    (CHAT, {"max_tokens": 5, "max_completion_tokens": 9}, 9),
    (CHAT, {"max_output_tokens": 5}, None),
    (CHAT, {"max_tokens": 0}, 0),
    (CHAT, {"max_tokens": 2**63}, 10_000_000),
    (Dialect.OPENAI_COMPLETIONS, {"max_tokens": 7}, 7),
    (Dialect.OPENAI_RESPONSES, {"max_output_tokens": 7, "max_tokens": 99}, 7),
    (Dialect.ANTHROPIC_MESSAGES, {"max_tokens": 7}, 7),
    (Dialect.OPENAI_EMBEDDINGS, {"max_tokens": 7}, 0),
]


@pytest.mark.parametrize(("dialect", "members", "bound"), BOUNDS)
def test_the_output_bound_is_what_the_dialect_obeys(dialect, members, bound):
    assert read({"model": "m", **members}, dialect).max_output_tokens == bound


CHOICES = [
    ({"prompt": "a", "n": 3}, 3),
    ({"prompt": ["a", "b"], "n": 3}, 6),
    ({"prompt": ["a"], "n": 2, "best_of": 5}, 5),
    ({"prompt": [1, 2, 3]}, 1),
    ({"prompt": [[1, 2], [3]]}, 2),
    ({"prompt": []}, 1),
    ({}, 1),
]


@pytest.mark.parametrize(("members", "choices"), CHOICES)
def test_completions_generate_for_each_prompt(members, choices):
    assert read({"model": "m", **members}, Dialect.OPENAI_COMPLETIONS).choices == choices


def test_estimates_are_near_and_rather_high():
    assert estimate_tokens(b"a" * 4000) == 1000
    assert 1000 <= estimate_tokens(("中" * 1000).encode()) <= 1300
    assert 500 <= estimate_tokens(("ж" * 1000).encode()) <= 1000


def test_utf8_is_checked_across_slices():
    text = ("a" + "中" * 300_000).encode()
    assert estimate_tokens(text) == 375_001
    with pytest.raises(BadRequest, match="UTF-8"):
        read(b'{"model":"m","x":"' + text[:-1] + b'"}')


def test_base64_is_not_counted_as_text():
    binary = "iVBORw0KGgo+/" * 20_000
    text = "Describe these."
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + binary}}
    source = {"type": "image", "source": {"type": "base64", "data": binary}}
    for parts in ([image], [source], [image, source, image]):
        request = read({"model": "m", "messages": [{"content": [text, *parts]}]})
        extra = request.input_tokens_estimate - len(parts) * BINARY_TOKENS
        assert 0 < extra < 60 * (len(parts) + 1)


def test_long_text_in_a_data_member_is_counted_as_text():
    request = read({"model": "m", "messages": [{"data": "many words " * 5000}]})
    assert request.input_tokens_estimate > 13_000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text(max_size=6).filter(lambda s: s.lower() not in ("model", "n")), JSON),
    st.integers(0, 9),
    st.sampled_from([None, 0, 1, 3]),
    st.booleans(),
    st.booleans(),
)
def test_splicing_changes_the_model_and_nothing_else(members, at, indent, is_ascii, is_tight):
    names = list(members)
    members = {k: members[k] for k in names[:at]} | {"model": "old"} | members
    separators = COMPACT if is_tight else None
    text = json.dumps(members, indent=indent, ensure_ascii=is_ascii, separators=separators)
    try:
        body = text.encode()
        request = read(body)
    except (UnicodeEncodeError, BadRequest):
        return  # a lone surrogate, or a name such as "N"
    sent = upstream_body(request, model="new")
    head, old, tail = request.body.partition(bytes(request.members["model"]))
    assert json.loads(sent) == {**json.loads(body), "model": "new"}
    assert len(sent) == len(head + old + tail)


@pytest.mark.parametrize("filler", range(12))
def test_a_duplicate_as_long_as_the_missing_blanks_is_found(filler):
    """A text without blanks, whose second `n` takes just the room that blanks would."""
    members = "".join(f',"k{i}":0' for i in range(filler))
    with pytest.raises(BadRequest, match="'n' is there more than once"):
        read(b'{"model":"m","n":1,"n":1' + members.encode() + b"}")


def test_millions_of_members_are_refused_before_they_are_decoded():
    """They would fill the memory of the worker, for whoever holds a key."""
    body = b'{"model":"m"' + b"".join(b',"k%d":1' % i for i in range(300_000)) + b"}"
    with pytest.raises(BadRequest, match="too wide"):
        read(body)


def test_a_large_conversation_is_not_mistaken_for_a_wide_object():
    message = b'{"role":"user","content":"a"}'
    body = b'{"model":"m","messages":[' + b",".join([message] * 150_000) + b"]}"
    assert read(body).model == "m"


def test_prompts_beyond_counting_are_taken_for_many():
    body = b'{"model":"m","prompt":["' + b"," * 300_000 + b'"]}'
    assert read(body, Dialect.OPENAI_COMPLETIONS).choices == 2048


NAMES = st.sampled_from(["model", "stream", "n", "max_tokens", "temperature", "user", "x"])
VALUES = {"model": '"m"', "stream": "true", "n": "1", "max_tokens": "9"}
BLANKS = st.sampled_from(["", "", " ", "\n\t", "\r\n  "])


@given(st.lists(NAMES, max_size=7), st.data())
def test_exactly_what_is_there_twice_is_refused(names, data):
    """In any order, spelling and spacing; what does not matter may come twice."""
    names.insert(data.draw(st.integers(0, len(names))), "model")
    parts = []
    for name in names:
        escaped = data.draw(st.sets(st.integers(0, 10), max_size=2))
        spelled = "".join(f"\\u{ord(c):04x}" if i in escaped else c for i, c in enumerate(name))
        value = VALUES.get(name) or data.draw(st.sampled_from(["0.5", "1", "12", '"a,\\"b"', "{}"]))
        gaps = [data.draw(BLANKS) for _ in range(4)]
        parts.append(f'{gaps[0]}"{spelled}"{gaps[1]}:{gaps[2]}{value}{gaps[3]}')
    body = ("{" + ",".join(parts) + "}").encode()
    if any(names.count(name) > 1 for name in VALUES):
        with pytest.raises(BadRequest, match="more than once"):
            read(body)
        return
    try:
        request = read(body)
    except BadRequest as error:
        assert "more than once" in error.message
        assert b"{}" in body  # a container twice is refused, whatever its name
        return
    assert json.loads(upstream_body(request, model="other"))["model"] == "other"
