-- What the scripts share. miltertest ends with 1 and without a word at a Lua error, so each script is
-- a function that `run` calls: at its end it prints "passed", else what went wrong and where.

function run(script)
    local done, fault = xpcall(script, debug.traceback)
    print(done and "passed" or fault)
    io.stdout:flush()
    if not done then
        os.exit(1)
    end
end

local WORDS = {
    [SMFIR_CONTINUE] = "continue",
    [SMFIR_ACCEPT] = "accept",
    [SMFIR_REPLYCODE] = "reply code",
}

Session = {}
Session.__index = Session

-- An SMTP session from this client. Its offer is libmilter's: every action and step of version 6.
function Session.open(host, address)
    local conn = mt.connect(SOCKET)
    assert(conn, "nobody listens")
    local session = setmetatable({ conn = conn }, Session)
    assert(mt.negotiate(conn, nil, nil, nil) == nil, "no negotiation")
    session:expect("continue", mt.conninfo(conn, host or "client.far.test", address or "192.0.2.9"))
    session:expect("continue", mt.helo(conn, "client.far.test"))
    return session
end

function Session:expect(word, fault)
    assert(fault == nil, fault)
    local reply = mt.getreply(self.conn)
    local got = WORDS[reply] or string.format("reply %q", reply)
    if got ~= word then
        error(string.format("%s, expected %s", got, word), 3)
    end
end

-- MAIL of a login, from its own address or the one given; nil: not logged in.
function Session:mail(word, login, sender)
    if login then
        local fault = mt.macro(self.conn, SMFIC_MAIL, "{auth_type}", "PLAIN", "{auth_authen}", login)
        assert(fault == nil, fault)
    else
        assert(mt.macro(self.conn, SMFIC_MAIL, "{mail_mailer}", "smtp") == nil)
    end
    self:expect(word, mt.mailfrom(self.conn, sender or "<" .. login .. "@example.org>", "SIZE=18"))
end

function Session:rcpt(word, recipient)
    self:expect(word, mt.rcptto(self.conn, "<" .. recipient .. ">"))
end

-- DATA and the end, with nothing between: header lines and body were agreed to be left out.
function Session:finish(word)
    self:expect("continue", mt.data(self.conn))
    for name, option in pairs({ body = SMFIP_NOBODY, headers = SMFIP_NOHDRS, eoh = SMFIP_NOEOH }) do
        assert(mt.test_option(self.conn, option), name .. " would be sent")
    end
    self:expect(word, mt.eom(self.conn))
end

function Session:abort()
    assert(mt.abort(self.conn) == nil, "no abort")
end

function Session:quit()
    assert(mt.disconnect(self.conn, true) == nil, "no quit")
end
