export const registry = {} as Record<
  'status',
  { section: 'run'; summary: string; load: () => Promise<{ default: import('./command.ts').Command }> }
>
export type CommandName = 'status'
