/**
 * A thread beside the command's own: it takes jobs until none is left.
 */
import { parentPort, workerData } from "node:worker_threads";
import { Library, type Shared, takeJobs } from "./jobs.ts";

const shared = workerData as Shared;
await takeJobs(shared, new Library(new Map(shared.overrides)), (finished) => parentPort?.postMessage(finished));
