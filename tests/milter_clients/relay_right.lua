-- A login with the relay right sends to strangers and at home.
dofile(FOLDER .. "/session.lua")

run(function()
    local session = Session.open()
    session:mail("continue", "alice")
    session:rcpt("continue", "friend@far.test")
    session:rcpt("continue", "bob@example.org")
    session:finish("accept")
    assert(not mt.eom_check(session.conn, MT_HDRADD), "a header that was not asked for")
    assert(not mt.eom_check(session.conn, MT_QUARANTINE), "held")
    session:abort()
    session:quit()
end)
