/** What every database driver must do: the same cases on each. */
#ifndef SYNC_CONTRACT_DB_H
#define SYNC_CONTRACT_DB_H

/** Runs the cases on both drivers; how many failed. */
int contract_db_run(void);

#endif
