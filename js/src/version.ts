declare const GRAPHATTEND_VERSION: string;

/** Version of this package, the same as that of the Python library. */
export const VERSION: string = GRAPHATTEND_VERSION;
