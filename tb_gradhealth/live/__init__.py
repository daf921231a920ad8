"""The diagnosis of a training while it runs: from the rows that go to the files, on a thread of its own."""
