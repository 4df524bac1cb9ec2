export interface PostgresOptions {
  /** Without what is ours in it. */
  readonly storeUrl: string
  readonly channel?: string
}

/** Takes `?channel=` out of the URL; everything else is the driver's. */
export function parsePostgresUrl(url: string): PostgresOptions {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  const channel = parsed?.searchParams.get('channel')
  if (parsed === undefined || channel === undefined || channel === null) return { storeUrl: url }
  parsed.searchParams.delete('channel')
  return { storeUrl: parsed.href, channel }
}
