"""Files that a person hands over by a link, for a call that takes them: asked for, checked, kept, and handed on."""
