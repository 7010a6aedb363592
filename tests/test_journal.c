#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/journal.h"

/* A file of lines that only grows, whatever happens while it does. */

static char folder[64], path[96];

static int set_up(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/sync-journal.XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof path, "%s/lines", folder);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	(void)unlink(path);
	return rmdir(folder);
}

static void put(const char *bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(strlen(bytes), write(fd, bytes, strlen(bytes)));
	close(fd);
}

static void add(const char *lines)
{
	defer(sync_journal_close) struct sync_journal j = { .fd = -1 };

	assert_ok(sync_journal_open(&j, path, err));
	assert_ok(sync_journal_add(&j, sync_view_of(lines), err));
}

static void expect(const char *lines)
{
	defer(sync_journal_close) struct sync_journal j = { .fd = -1 };
	defer(sync_buf_clear) struct sync_buf b = { .max = 1 << 20 };

	assert_ok(sync_journal_open(&j, path, err));
	assert_ok(sync_journal_read(&j, &b, err));
	sync_buf_add_char(&b, '\0');
	assert_string_equal(lines, b.data);
}

static void what_is_added_is_read_in_order_and_is_its_owners_alone(void **state)
{
	struct stat st;

	(void)state;
	expect("");
	add("one\n");
	add("two\nthree\n");
	expect("one\ntwo\nthree\n");
	assert_int_equal(0, stat(path, &st));
	assert_int_equal(0600, st.st_mode & 0777);
}

static void an_unfinished_line_does_not_count_and_goes_with_the_next_addition(void **state)
{
	(void)state;
	put("one\ntw");
	expect("one\n");
	add("three\n");
	expect("one\nthree\n");
	put("on");
	add("one\n");
	expect("one\n");
}

static bool has(const char *text)
{
	defer(sync_journal_close) struct sync_journal j = { .fd = -1 };
	bool found;

	assert_ok(sync_journal_open(&j, path, err));
	assert_ok(sync_journal_has(&j, sync_view_of(text), &found, err));
	return found;
}

/* Lines of 8 bytes, of which some lie across the ends of what is read at a time. */
static void a_text_is_found_wherever_it_stands(void **state)
{
	enum { LINES = 40000 };
	defer(sync_buf_clear) struct sync_buf lines = { .max = 1 << 20 };
	char line[20];

	(void)state;
	assert_false(has("n00000."));
	for (int i = 0; i < LINES; i++)
		sync_buf_addf(&lines, "n%05d.\n", i);
	sync_buf_add_char(&lines, '\0');
	add(lines.data);
	for (int i = 0; i < LINES; i += i % 8192 < 8170 ? 1021 : 1) {
		snprintf(line, sizeof line, "n%05d.\n", i);
		assert_true(has(line));
	}
	assert_true(has("n39999.\n"));
	assert_false(has("n40000."));
}

static void other_content_takes_its_place_as_a_whole(void **state)
{
	defer(sync_journal_close) struct sync_journal j = { .fd = -1 };

	(void)state;
	add("one\ntwo\n");
	assert_ok(sync_journal_open(&j, path, err));
	assert_ok(sync_journal_replace(&j, sync_view_of("two\n"), err));
	sync_journal_close(&j);
	add("three\n");
	expect("two\nthree\n");
}

static void what_cannot_be_opened_is_told_with_its_path(void **state)
{
	defer(sync_journal_close) struct sync_journal j = { .fd = -1 };
	struct sync_error seen;

	(void)state;
	assert_int_equal(SYNC_EIO, sync_journal_open(&j, "/nowhere/lines", &seen));
	assert_string_equal("/nowhere/lines: No such file or directory", seen.text);
	assert_int_equal(SYNC_EIO, sync_journal_open(&j, folder, &seen));
	assert_non_null(strstr(seen.text, folder));
}

static void a_file_without_lines_is_not_taken_for_one(void **state)
{
	defer(sync_journal_close) struct sync_journal j = { .fd = -1 };
	static char bytes[SYNC_JOURNAL_LINE + 2];
	struct sync_error seen;

	(void)state;
	memset(bytes, 'x', sizeof bytes - 1);
	put(bytes);
	assert_int_equal(SYNC_EINVALID, sync_journal_open(&j, path, &seen));
	assert_non_null(strstr(seen.text, "this is another file"));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(what_is_added_is_read_in_order_and_is_its_owners_alone),
		CASE(an_unfinished_line_does_not_count_and_goes_with_the_next_addition),
		CASE(a_text_is_found_wherever_it_stands),
		CASE(other_content_takes_its_place_as_a_whole),
		CASE(what_cannot_be_opened_is_told_with_its_path),
		CASE(a_file_without_lines_is_not_taken_for_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
