import json

from tests.case import CommandCase


class NotesTest(CommandCase):
    def test_adds_and_lists(self) -> None:
        self.assertEqual(self.notes("add", "Call the dentist"), "1\n")
        self.assertEqual(self.notes("add", " Water the plants "), "2\n")
        self.assertEqual(self.notes("list"), "1  Call the dentist\n2  Water the plants\n")

    def test_hides_what_is_done(self) -> None:
        self.notes("add", "Call the dentist")
        self.notes("done", "1")
        self.assertEqual(self.notes("list"), "")
        self.assertEqual(self.notes("list", "--all"), "1  [done] Call the dentist\n")

    def test_says_what_is_wrong_in_one_line(self) -> None:
        self.assertEqual(self.run_notes("add", " "), (1, "", "notes: a note needs some text\n"))
        self.assertEqual(self.run_notes("done", "7"), (1, "", "notes: there is no note 7\n"))

    def test_reads_files_of_the_first_version(self) -> None:
        self.file.write_text(json.dumps([{"id": 3, "text": "Old"}]), encoding="utf-8")
        self.assertEqual(self.notes("add", "New"), "4\n")
        self.assertEqual(self.notes("list"), "3  Old\n4  New\n")
