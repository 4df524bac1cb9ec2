/** `4.3.0` against `4, 3`. What has no version is taken for old. */
export function isAtLeast(version: string, major: number, minor: number): boolean {
  const [ofServer = 0, itsMinor = 0] = version.split('.').map((part) => Number.parseInt(part, 10) || 0)
  return ofServer > major || (ofServer === major && itsMinor >= minor)
}
