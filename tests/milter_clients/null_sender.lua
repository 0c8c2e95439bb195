-- The null sender, as a bounce or a vacation reply has it, in both spellings.
dofile(FOLDER .. "/session.lua")

run(function()
    local session = Session.open()
    for _, sender in ipairs({ "<>", "" }) do
        session:mail("continue", "alice", sender)
        session:rcpt("continue", "friend@far.test")
        session:finish("accept")
        session:abort()
        session:mail("continue", "bob", sender)
        session:rcpt("reply code", "friend@far.test")
        session:abort()
        session:mail("reply code", nil, sender)
        session:abort()
    end
    session:quit()
end)
