"""How it behaves: pure functions, each law once, shared by programme, simulator and finance."""
