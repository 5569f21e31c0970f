"""The commands behind `worldmodel <command>`; nothing else imports them."""
