import json

from tests.case import CommandCase


class TagsTest(CommandCase):
    def test_tags_are_shown_after_the_text(self) -> None:
        self.notes("add", "Call the dentist", "--tag", "health", "--tag", "phone")
        self.notes("add", "Water the plants")
        self.assertEqual(self.notes("list"), "1  Call the dentist  #health #phone\n2  Water the plants\n")

    def test_a_list_can_be_narrowed_to_a_tag(self) -> None:
        self.notes("add", "Call the dentist", "--tag", "phone")
        self.notes("add", "Water the plants", "--tag", "home")
        self.notes("add", "Call the plumber", "--tag", "home", "--tag", "phone")
        self.notes("done", "3")
        self.assertEqual(self.notes("list", "--tag", "home"), "2  Water the plants  #home\n")
        self.assertEqual(
            self.notes("list", "--all", "--tag", "phone"),
            "1  Call the dentist  #phone\n3  [done] Call the plumber  #home #phone\n",
        )

    def test_tags_are_lower_case_sorted_and_unique(self) -> None:
        self.notes("add", "Call the dentist", "--tag", "Phone", "--tag", "#health", "--tag", "phone")
        self.assertEqual(json.loads(self.file.read_text(encoding="utf-8"))[0]["tags"], ["health", "phone"])
        self.assertEqual(self.notes("list", "--tag", "PHONE"), "1  Call the dentist  #health #phone\n")

    def test_a_tag_is_one_word(self) -> None:
        for tag in ("", "two words", "#"):
            with self.subTest(tag):
                code, out, err = self.run_notes("add", "Call", "--tag", tag)
                self.assertEqual((code, out), (1, ""))
                self.assertEqual(err, f"notes: a tag is one word, not {tag!r}\n")
        self.assertFalse(self.file.exists())
