import { captures } from './captures.ts'
import { contracts } from './contracts.ts'
import { handlers } from './handlers.ts'
import { iconsSchema } from './schema.ts'

/** The icon service: what it says, what it hears, the tables it keeps and those it watches. */
export const icons = { name: 'icons', contracts, handlers, migrations: iconsSchema, captures }
