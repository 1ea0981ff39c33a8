/**
 * cowlab/image: archives of images, in and out of a daemon, and what Docker shows of them. The public names, one by one.
 */
export { DriverError, isDriverError } from "../drivers/driver.ts";
export { commitContainer } from "../images/commit.ts";
export { type Daemon, type DaemonOptions, startDaemon } from "../images/daemon.ts";
export { type ImageFiles, tarFiles } from "../images/files.ts";
export { loadImages } from "../images/load.ts";
export { type SaveFormat, savedTar, saveImages } from "../images/save.ts";
export { historyOf, imageUsage, inspectImage } from "../images/views.ts";
