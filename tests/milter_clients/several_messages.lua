-- Several messages over one connection, and nothing of one in the next.
dofile(FOLDER .. "/session.lua")

run(function()
    local session = Session.open()
    for _ = 1, 3 do
        session:mail("continue", "alice")
        session:rcpt("continue", "friend@far.test")
        session:finish("accept")
        session:abort()
        -- RSET after MAIL, and after RCPT.
        session:mail("continue", "alice")
        session:abort()
        session:mail("continue", "alice")
        session:rcpt("continue", "friend@far.test")
        session:abort()
        session:abort()
        session:mail("continue", "bob")
        session:rcpt("reply code", "friend@far.test")
        session:rcpt("continue", "alice@example.org")
        session:finish("accept")
        session:mail("reply code", nil, "<alice@example.org>")
        session:abort()
    end
    session:quit()
end)
