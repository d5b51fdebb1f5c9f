/** A compiled module; engines let it pass between threads. */
export interface WasmModule {
  /** Marks the type; never present. */
  readonly wasmModule?: never;
}

/** Linear memory in pages of 64 KiB. It grows and never shrinks. */
export interface WasmMemory {
  /** What there is now. Growing detaches it, unless it is shared: then an old one shows the old length. */
  readonly buffer: ArrayBuffer | SharedArrayBuffer;
  /**
   * @returns How many pages there were before.
   * @throws RangeError if the engine has no room for them.
   */
  grow(pages: number): number;
}

/**
 * The part of the WebAssembly interface that Node and browsers share and the kernel needs. TypeScript declares it only
 * together with all of the DOM.
 */
interface WasmEngine {
  readonly Module: new (bytes: Uint8Array) => WasmModule;
  readonly Memory: new (size: { initial: number; maximum?: number; shared?: boolean }) => WasmMemory;
  readonly Instance: new (module: WasmModule, imports: { env: { memory: WasmMemory } }) => { readonly exports: object };
  /** Whether the engine can compile these bytes. */
  validate(bytes: Uint8Array): boolean;
}

/** The engine that runs this code; one without WebAssembly, as under `node --jitless`, finds no bytes valid. */
export const wasmEngine = (Reflect.get(globalThis, "WebAssembly") ?? { validate: () => false }) as WasmEngine;

/** Bytes of a page of memory. */
export const pageBytes = 65_536;
