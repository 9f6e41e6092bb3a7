"""The screens: the main one, those that the app opens by name (`registry`), and small dialogues."""
