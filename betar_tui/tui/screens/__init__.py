"""The screens: the market, one listing, the form, and the small dialogues."""
