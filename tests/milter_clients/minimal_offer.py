"""An MTA that offers little: no macro lists, and every command sent and answered, header lines and
body too. Arguments: port, and "held" where alice's last message is to be held."""

import socket
import sys
from contextlib import closing

from miltertest import MilterConnection
from miltertest.constants import *

ADD_HEADER, QUARANTINE = 0x01, 0x20


class Session:
    """An SMTP session; every reply is checked."""

    def __init__(self, port, wanted):
        self.milter = MilterConnection(socket.create_connection(("127.0.0.1", port), 20))
        # `optneg_mta` insists on an answer within the offer.
        agreed = self.milter.optneg_mta(actions=0xFF, protocol=0)
        assert agreed == (wanted, 0), agreed
        self.expect("c", SMFIC_CONNECT, hostname="client.far.test", family="4", port=40961, address="192.0.2.9")
        self.expect("c", SMFIC_HELO, helo="client.far.test")

    def expect(self, code, command, **arguments):
        got, fields = self.milter.send_get(command, **arguments)
        assert got == code, f"{command}: {got} {fields}, expected {code}"
        return fields

    def mail(self, login, code="c"):
        macros = {"{auth_type}": "PLAIN", "{auth_authen}": login} if login else {}
        self.milter.send_macro(SMFIC_MAIL, **macros)
        sender = f"<{login or 'alice'}@example.org>"
        return self.expect(code, SMFIC_MAIL, args=[sender, "SIZE=100000"])

    def rcpt(self, recipient, code="c"):
        return self.expect(code, SMFIC_RCPT, args=[f"<{recipient}>"])

    def content(self):
        self.expect("c", SMFIC_DATA)
        headers = [("Subject", "Gr\u00fc\u00dfe"), ("Subject", ""), ("From", "a\n\tb")]
        assert self.milter.send_headers(headers) == ("c", {})
        self.expect("c", SMFIC_EOH)
        # Two pieces, the first as long as they come.
        assert self.milter.send_body("a line\r\n" * 10_000) == ("c", {})

    def finish(self):
        """The codes of what is done to the message, and the fields of each."""
        replies = self.milter.send_eom()
        if replies[-1][0] == SMFIR_QUARANTINE:
            replies.append(self.milter.recv())
        return replies

    def abort(self):
        self.milter._send(SMFIC_ABORT)

    def quit(self):
        self.milter._send(SMFIC_QUIT)
        with closing(self.milter.sock):
            assert self.milter.recv(eof_ok=True) is None, "something after QUIT"


def refused(fields, code, enhanced, says):
    text = fields["text"]
    assert fields["smtpcode"] == code and fields["space"] == " ", fields
    # [ID] between the codes and the words.
    head, words = text[: len(enhanced) + 15], text[len(enhanced) + 16 :]
    assert head.startswith(enhanced + " [") and head.endswith("]") and words == says, text


def word(line):
    print(line, flush=True)
    return sys.stdin.readline().strip()


port, is_held = int(sys.argv[1]), sys.argv[2:] == ["held"]
session = Session(port, ADD_HEADER | QUARANTINE if is_held else 0)
NO_RELAY = "{} has no relay right: mail to far.test is not allowed"

for _ in range(2):
    session.mail("alice")
    session.rcpt("friend@far.test")
    session.content()
    done = session.finish()
    assert [code for code, _ in done] == (["h", "a"] if is_held else ["a"]), done
    session.abort()

    session.mail("bob")
    refused(session.rcpt("friend@far.test", "y"), "550", "5.7.1", NO_RELAY.format("bob"))
    session.rcpt("alice@example.org")
    session.content()
    assert session.finish()[-1] == ("a", {})
    # Without an ABORT, as Sendmail does.
    refused(session.mail("carol", "y"), "550", "5.7.1", "carol has no submit right")
    refused(session.mail(None, "y"), "530", "5.7.0", "Authentication required")
    session.abort()
    session.abort()

session.mail("alice")
session.rcpt("friend@far.test")
assert word("take it away") == "taken"
session.content()
done = session.finish()
if is_held:
    assert [code for code, _ in done] == ["h", "q", "a"], done
    header, held = done[0][1], done[1][1]
    assert header["name"] == "X-Gatepost", header
    assert held["reason"] == f"[{header['value']}] " + NO_RELAY.format("alice"), held
else:
    assert [code for code, _ in done] == ["y"], done
    refused(done[0][1], "550", "5.7.1", NO_RELAY.format("alice"))
session.quit()
print("passed")
