"""Addresses that must never be called, and the few that may."""

from collections.abc import Sequence
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import AddressRefused
from shared.outbound.address_rules import MAX_URL_LENGTH, OutboundRules, TargetUrl, is_public, parse_networks
from shared.outbound.client import OutboundClient

NAMES: dict[str, list[str]] = {
    "good.example": ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"],
    "xn--bcher-kva.example": ["93.184.215.14"],
    "localhost": ["127.0.0.1", "::1"],
    "redis": ["172.18.0.3"],
    "metadata.google.internal": ["169.254.169.254"],
    "instance-data": ["169.254.169.254"],
    "half.example": ["93.184.215.14", "10.0.0.1"],
    "last.example": ["93.184.215.14", "93.184.215.15", "::ffff:127.0.0.1"],
    "wildcard.10.0.0.1.nip.example": ["10.0.0.1"],
    "linklocal.example": ["fe80::1%2"],
    "nonsense.example": ["not an address"],
    "nothing.example": [],
}


def resolver(host: str, port: int) -> Sequence[str]:
    try:
        return [str(ip_address(host))]
    except ValueError:
        pass
    if host not in NAMES:
        raise OSError("no such name")
    return NAMES[host]


OUTBOUND = OutboundClient(rules=OutboundRules(), resolver=resolver)

HOSTILE = [
    # loopback, in every spelling
    "https://127.0.0.1/",
    "https://127.1/",
    "https://127.0.1/",
    "https://127.255.255.254/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0X7F.1/",
    "https://0x/",
    "https://017700000001/",
    "https://0177.0.0.1/",
    "https://127.0.0.01/",
    "https://127.0.0.1./",
    "https://0/",
    "https://0.0.0.0/",
    "https://256.256.256.256/",
    "https://4294967297/",
    "https://[::1]/",
    "https://[::]/",
    "https://[0:0:0:0:0:0:0:1]/",
    "https://[::1%25lo]/",
    "https://localhost/",
    "https://LOCALHOST./",
    # IDNA: full-width digits, circled letters, other full stops
    "https://１２７.０.０.１/",
    "https://127。0。0。1/",
    "https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
    "https://①②⑦.0.0.1/",
    "https://xn--/",
    "https://a..example/",
    "https://-a.example/",
    # private and special networks
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://172.31.255.255/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://100.127.255.255/",
    "https://169.254.1.1/",
    "https://192.0.0.8/",
    "https://192.0.2.1/",
    "https://192.88.99.1/",
    "https://198.18.0.1/",
    "https://198.51.100.1/",
    "https://203.0.113.1/",
    "https://224.0.0.1/",
    "https://239.255.255.250/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    # metadata services
    "https://169.254.169.254/latest/meta-data/",
    "https://[::ffff:169.254.169.254]/",
    "https://[fd00:ec2::254]/",
    "https://100.100.100.200/",
    "https://192.0.0.192/",
    "https://168.63.129.16/",
    "https://metadata.google.internal/",
    "https://instance-data/",
    # IPv4 hidden in IPv6, and IPv6 that is not for everybody
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::ffff:93.184.215.14]/",
    "https://[::ffff:0:10.0.0.1]/",
    "https://[::127.0.0.1]/",
    "https://[2002:7f00:1::]/",
    "https://[2002:5db8:d70e::1]/",
    "https://[64:ff9b::10.0.0.1]/",
    "https://[64:ff9b::93.184.215.14]/",
    "https://[64:ff9b:1::1]/",
    "https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
    "https://[2606:2800::5efe:127.0.0.1]/",
    "https://[2001:db8::1]/",
    "https://[3fff::1]/",
    "https://[100::1]/",
    "https://[fc00::1]/",
    "https://[fd12:3456:789a::1]/",
    "https://[fe80::1]/",
    "https://[fe80::1%eth0]/",
    "https://[fec0::1]/",
    "https://[ff02::1]/",
    "https://[5f00::1]/",
    "https://[4000::1]/",
    # names
    "https://redis:6379/",
    "https://half.example/",
    "https://last.example/",
    "https://wildcard.10.0.0.1.nip.example/",
    "https://linklocal.example/",
    "https://nonsense.example/",
    "https://nothing.example/",
    "https://unknown.example/",
    # credentials, and hosts that parsers disagree about
    "https://user@good.example/",
    "https://user:opensesame@good.example/",
    "https://good.example@127.0.0.1/",
    "https://127.0.0.1#@good.example/",
    "https://127.0.0.1\\@good.example/",
    "https://good.example\\.127.0.0.1/",
    "https://good.example%2f@127.0.0.1/",
    "https://127.0.0.1%00.good.example/",
    "https://%31%32%37.0.0.1/",
    "https://good.example:443:80/",
    "https://good.example:443@127.0.0.1:80/",
    "https://[::1",
    "https://[]/",
    "https://::1/",
    "https:///good.example/",
    "https://",
    "https:good.example",
    "//good.example/",
    " https://good.example/",
    "https://good.example/ ",
    "https://good.example/\r\nHost: redis",
    "https://good.\texample/",
    "https://good.example\n/",
    "https://good.example/\x00",
    "https://good.example/\u202e",
    "https://good.example/#fragment",
    # schemes and ports
    "http://good.example/",
    "HTTP://good.example/",
    "file:///etc/passwd",
    "ftp://good.example/",
    "gopher://good.example:6379/_FLUSHALL",
    "javascript:alert(1)",
    "data:text/plain,x",
    "https://good.example:22/",
    "https://good.example:6379/",
    "https://good.example:0/",
    "https://good.example:65536/",
    "https://good.example:99999999999/",
    "https://good.example:/",
    "https://good.example:-1/",
    "https://good.example:４４３/",
    "https://good.example/" + "a" * MAX_URL_LENGTH,
    "https://" + "a" * 64 + ".example/",
    "https://" + "a." * 130 + "example/",
    "",
]


@pytest.mark.parametrize("url", HOSTILE, ids=ascii)
def test_a_hostile_address_is_refused(url: str) -> None:
    with pytest.raises(AddressRefused):
        OUTBOUND.check(url)


def test_the_table_is_long_enough() -> None:
    assert len(set(HOSTILE)) == len(HOSTILE) >= 60


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("https://good.example", "https://good.example/"),
        ("HTTPS://GOOD.example.:443/A?b=c", "https://good.example/A?b=c"),
        ("https://good.example:8443?x", "https://good.example:8443/?x"),
        ("https://bücher.example/ä", "https://xn--bcher-kva.example/%C3%A4"),
        ("https://93.184.215.14/hook", "https://93.184.215.14/hook"),
        ("https://[2606:2800:21f:CB07::1]:8080/", "https://[2606:2800:21f:cb07::1]:8080/"),
    ],
)
def test_a_public_address_is_taken_in_its_normal_form(url: str, normal: str) -> None:
    assert str(OUTBOUND.check(url)) == normal


def test_http_is_taken_where_the_operator_says_so() -> None:
    assert OUTBOUND.check("http://good.example/", allow_http=True).port == 80


def test_an_allowed_network_may_be_called_on_any_port() -> None:
    rules = OutboundRules(networks=parse_networks("127.0.0.0/8, fd00::/8"))
    outbound = OutboundClient(rules=rules, resolver=resolver)
    assert outbound.check("https://127.0.0.1:5678/").port == 5678
    assert outbound.check("https://[fd00::1]:99/").port == 99
    for refused in ("https://10.0.0.1/", "https://[::ffff:127.0.0.1]/", "https://good.example:5678/"):
        with pytest.raises(AddressRefused):
            outbound.check(refused)


def test_a_name_with_one_address_outside_the_allowed_network_is_refused() -> None:
    outbound = OutboundClient(rules=OutboundRules(networks=parse_networks("127.0.0.0/8")), resolver=resolver)
    with pytest.raises(AddressRefused):
        outbound.check("https://localhost/")


def test_what_is_refused_does_not_tell_which_names_exist_inside() -> None:
    sentences = set()
    for host in ("redis", "unknown.example", "half.example", "nothing.example"):
        with pytest.raises(AddressRefused) as refused:
            OUTBOUND.check(f"https://{host}/")
        sentences.add(refused.value.message)
    assert len(sentences) == 1


@given(st.ip_addresses())
def test_only_plainly_global_unicast_is_public(address: object) -> None:
    parsed = ip_address(str(address))
    if is_public(parsed):
        assert parsed.is_global
        assert not parsed.is_multicast


@given(st.text(max_size=60))
def test_any_text_is_refused_or_read_into_plain_ascii(text: str) -> None:
    for url in (text, f"https://{text}", f"https://good.example/{text}"):
        try:
            target = OutboundRules().parse(url)
        except AddressRefused:
            continue
        assert isinstance(target, TargetUrl)
        assert str(target).isascii()
        assert str(target).isprintable()
        assert " " not in str(target)
        assert OutboundRules().parse(str(target)) == target
