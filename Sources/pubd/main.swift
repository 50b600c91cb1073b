// The ring, the control page and the loop around PublishServer go here.
