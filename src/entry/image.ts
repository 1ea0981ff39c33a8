/**
 * cowlab/image: archives of images, in and out of a daemon, and what Docker shows of them. The public names, one by one.
 */
export { portableHasher } from "../archive/digest.ts";
export { ArchiveFault, type FaultCode, type ReadMode } from "../archive/fault.ts";
export { streamDecompress } from "../archive/stream-decompress.ts";
export { DriverError, isDriverError } from "../drivers/driver.ts";
export { commitContainer, importRootfs } from "../images/commit.ts";
export { type Container, type ContainerUsage, containerUsage, createContainer } from "../images/containers.ts";
export { type Daemon, type DaemonOptions, startDaemon } from "../images/daemon.ts";
export { type Pushed, pushImage } from "../images/distribution.ts";
export { psText, systemDfText } from "../images/docker-text.ts";
export { type ImageFiles, tarFiles } from "../images/files.ts";
export { loadImages } from "../images/load.ts";
export { readImages } from "../images/read-images.ts";
export { type SaveFormat, savedTar, saveImages } from "../images/save.ts";
export { type ReadContext, type SourceArchive, type SourceImage, verifyLayers } from "../images/source-image.ts";
export { historyOf, imageUsage, inspectImage } from "../images/views.ts";
