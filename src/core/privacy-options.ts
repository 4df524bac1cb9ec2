export const detections = ['off', 'warn', 'mask', 'refuse'] as const
/** What happens with a field that nobody marked and that looks personal or secret. */
export type Detection = (typeof detections)[number]

export interface PrivacyOptions {
  /** 32 bytes in base64; several separated by spaces, the current one first. Wraps the keys of subjects. */
  readonly masterKey?: string | undefined
  /** A file with the same; counts when `masterKey` is not given. */
  readonly masterKeyFile?: string | undefined
  /** Any text: the same one gives the same pseudonyms. Without one, `***` is shown. */
  readonly pseudonymKey?: string | undefined
  /**
   * `warn` (default): says so once for each field, from its name at the start and from a sample of what is published. `mask`: such fields
   * are `***` wherever evt shows data. `refuse`: an event with such a value is refused when it is published.
   */
  readonly detect?: Detection | undefined
}
