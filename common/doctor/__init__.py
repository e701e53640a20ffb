"""`--doctor`: checks whether everything that a command needs is there, and says what to do if not."""
