import { defineService } from '../../index.ts'
import { captures } from './captures.ts'
import { contracts } from './contracts.ts'
import { handlers } from './handlers.ts'
import { applicationSchema, iconsSchema } from './schema.ts'

/** The icon service: what it says, what it hears, the tables it keeps and those it watches. */
export const icons = defineService({
  name: 'icons',
  contracts,
  handlers,
  // The watched tables belong to the application; they are made here only where nobody has made them.
  migrations: [applicationSchema, iconsSchema],
  captures,
})
