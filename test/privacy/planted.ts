import type { Store } from '../../src/store/connection.ts'

/** The tables of the store in which one of these texts stands, in any column, as text or as bytes. */
export async function tablesWith(store: Store, secrets: readonly string[]): Promise<string[]> {
  const { rows } = await store.query(
    `select c.oid::regclass::text as name from pg_class c
     where c.relnamespace in ('evt'::regnamespace, 'event_store'::regnamespace) and c.relkind = 'r' order by 1`,
  )
  const forms = secrets.flatMap((secret) => [secret, Buffer.from(secret).toString('hex')])
  const found: string[] = []
  for (const { name } of rows) {
    const { rows: hits } = await store.query(
      `select 1 from ${String(name)} t where exists (select from unnest($1::text[]) form where position(form in t::text) > 0) limit 1`,
      [forms],
    )
    if (hits.length > 0) found.push(String(name))
  }
  return found
}
