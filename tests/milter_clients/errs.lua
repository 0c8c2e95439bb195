-- Proves that a script which errs cannot pass: bob may not relay.
dofile(FOLDER .. "/session.lua")

run(function()
    local session = Session.open()
    session:mail("continue", "bob")
    session:rcpt("continue", "friend@far.test")
end)
