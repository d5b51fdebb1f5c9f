/**
 * Bytes of blocks of a volatile sum that are kept until it is read back: a few row groups. To read 64 KiB back every
 * 4 MiB costs little, and no more than this is added again when a device is lost.
 */
export const keptBlockBytes = 4 * 1024 * 1024;
