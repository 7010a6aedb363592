#include "country.h"

static void a_site_loads_and_both_sides_edit(void **state)
{
	struct country c;

	country_open(&c, testdb_of(state), 2);
	country_load(&c, 0);
	assert_converged(&c, 0);
	put_location(c.site[0].db.db, "l1", 1, "Fridge");
	put_stocktake(c.site[0].db.db, "t1", 1, 3);
	put_barcode(c.site[0].db.db, "b1", "123");
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_int_equal(6, c.site[0].report.pushed);
	assert_int_equal(0, c.site[0].report.unpushed);
	assert_int_equal(1, c.site[0].report.requests);
	assert_converged(&c, 0);
	country_load(&c, 1);
	assert_converged(&c, 1);
	run(c.central->db, "UPDATE unit SET name = 'vial'");
	put_barcode(c.site[1].db.db, "b1", "456");
	country_settle(&c);
	assert_converged(&c, 0);
	assert_converged(&c, 1);
	country_close(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTDB_BOTH(a_site_loads_and_both_sides_edit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
