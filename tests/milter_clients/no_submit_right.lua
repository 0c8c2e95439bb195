-- Refused at MAIL: nobody logged in, an account that is denied by a nested group, one that is disabled.
-- The connection serves the next one.
dofile(FOLDER .. "/session.lua")

run(function()
    local session = Session.open()
    session:mail("reply code", nil, "<alice@example.org>")
    session:abort()
    session:mail("reply code", "carol")
    -- Sendmail says nothing between a refused MAIL and the next.
    session:mail("reply code", "erin")
    session:mail("continue", "alice")
    session:rcpt("continue", "friend@far.test")
    session:finish("accept")
    session:quit()
end)
