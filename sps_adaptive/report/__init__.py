"""Pictures and documents from finished tables; nothing is computed here."""
