-- alice loses the relay right between RCPT and the end of her message: HELD says whether it is held
-- or refused then.
dofile(FOLDER .. "/session.lua")

run(function()
    local session = Session.open()
    session:mail("continue", "alice")
    session:rcpt("continue", "friend@far.test")
    print("take it away")
    io.stdout:flush()
    assert(io.read("l") == "taken", "nobody took it away")
    local is_held = HELD == "yes"
    assert(mt.test_action(session.conn, SMFIF_QUARANTINE) == is_held, "as negotiated")
    session:finish(is_held and "accept" or "reply code")
    assert(mt.eom_check(session.conn, MT_QUARANTINE) == is_held, "held or not")
    assert(mt.eom_check(session.conn, MT_HDRADD, "X-Gatepost") == is_held, "what is refused has no id")
    print("which id?")
    io.stdout:flush()
    local text = "[" .. io.read("l") .. "] alice has no relay right: mail to far.test is not allowed"
    if is_held then
        assert(mt.eom_check(session.conn, MT_QUARANTINE, text), "another reason")
    else
        -- miltertest 2.11 compares all three or nothing.
        assert(mt.eom_check(session.conn, MT_SMTPREPLY, "550", "5.7.1", text), "another reply")
    end
    session:abort()
    session:mail("continue", "alice")
    session:rcpt("reply code", "friend@far.test")
    session:quit()
end)
