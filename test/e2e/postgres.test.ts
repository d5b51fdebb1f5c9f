import { useTestPostgres } from "../helpers/postgres-server.js";
import { testPostgresJobs } from "./postgres/jobs.js";
import { testPostgresStore } from "./postgres/store.js";
import { testPostgresUploads } from "./postgres/uploads.js";
import { testWorkCommand } from "./postgres/work.js";

// All that runs on PostgreSQL runs in one process: PGlite takes seconds to start.
const postgres = useTestPostgres();

testPostgresStore(postgres);
testPostgresUploads(postgres);
testPostgresJobs(postgres);
testWorkCommand(postgres);
