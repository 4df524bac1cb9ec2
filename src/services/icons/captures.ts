/** Which tables of the application become events, and under which names. */
export const captures = [
  {
    table: 'app.users',
    entity: 'user',
    rules: [{ when: { column: 'is_active', to: false }, type: 'user.suspended' }],
    channel: 'user_events',
  },
  {
    table: 'app.documents',
    entity: 'document',
    // The owner stands beside the document's id, as in the service's own payloads.
    lift: ['user_id'],
    rules: [{ when: { column: 'is_public', to: true }, type: 'document.published' }],
    channel: 'document_events',
  },
  { table: 'app.system_settings', entity: 'system_setting', dataKey: 'system_data', channel: 'system_events' },
]
