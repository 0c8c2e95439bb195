-- A login without the relay right: strangers are refused, the message to the others goes on.
dofile(FOLDER .. "/session.lua")

run(function()
    local session = Session.open()
    session:mail("continue", "bob")
    session:rcpt("reply code", "friend@far.test")
    session:rcpt("continue", "alice@example.org")
    session:rcpt("reply code", "another@far.test")
    session:finish("accept")
    session:quit()
end)
