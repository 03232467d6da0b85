"""Translation from English into French: number names, dates, LibreOffice; their words, batches, and links between the words of a pair."""
