// The audit log: who changed what, when and from where; each row opens to what it was before.

import type { Schemas } from '../../api/client';
import { listOf } from '../../api/queries';
import { useTexts } from '../../i18n/language';
import { type Column, DataTable } from '../../ui/DataTable';
import { EmptyState } from '../../ui/EmptyState';
import { PageHead } from '../../ui/PageHead';
import { PlainTable } from '../../ui/PlainTable';
import type { Filter } from '../../ui/TableFilters';
import { Time } from '../../ui/Time';
import { difference } from './difference';
import { auditTexts } from './texts';

type Entry = Schemas['AuditEntry'];
const source = listOf('/api/audit');

export default function Audit() {
  const t = useTexts(auditTexts);
  const columns = useColumns();
  const filters = useFilters();
  return (
    <div className="page">
      <PageHead title={t.title} lead={t.lead} />
      <DataTable
        name="audit"
        label={t.title}
        source={source}
        columns={columns}
        filters={filters}
        rowKey={(entry) => String(entry.id)}
        expanded={(entry) => <Difference of={entry} />}
        empty={<EmptyState title={t.emptyTitle} hint={t.emptyHint} />}
      />
    </div>
  );
}

function useFilters(): readonly Filter[] {
  const t = useTexts(auditTexts);
  return [
    { kind: 'text', name: 'actor', label: t.actor },
    { kind: 'text', name: 'action', label: t.action },
    { kind: 'text', name: 'subject', label: t.subject },
    { kind: 'day', name: 'from', label: t.from },
    { kind: 'day', name: 'to', label: t.to },
  ];
}

function useColumns(): readonly Column<Entry>[] {
  const t = useTexts(auditTexts);
  return [
    {
      key: 'at',
      title: t.when,
      csv: (entry) => entry.at,
      render: (entry) => <Time at={entry.at} withSeconds />,
    },
    {
      key: 'actor',
      title: t.actor,
      csv: (entry) => entry.actor,
      render: (entry) => <Actor of={entry} />,
    },
    {
      key: 'action',
      title: t.action,
      csv: (entry) => entry.action,
      render: (entry) => <code>{entry.action}</code>,
    },
    {
      key: 'subject',
      title: t.subject,
      csv: (entry) => entry.subject,
      render: (entry) => entry.subject,
    },
    {
      key: 'address',
      title: t.address,
      isHiddenOnPhone: true,
      csv: (entry) => entry.address,
      render: (entry) => entry.address || <span className="muted">–</span>,
    },
  ];
}

function Actor({ of: entry }: { readonly of: Entry }) {
  const t = useTexts(auditTexts);
  if (entry.actor === 'admin') return t.adminToken;
  if (entry.actor === 'cli') return t.cli;
  return entry.actor_name ?? entry.actor;
}

function Difference({ of: entry }: { readonly of: Entry }) {
  const t = useTexts(auditTexts);
  const changed = difference(entry.before, entry.after);
  if (changed.length === 0) return <p className="muted">{t.noChange}</p>;
  const value = (text: string | null) =>
    text === null ? <span className="muted">{t.nothing}</span> : <code>{text}</code>;
  return (
    <PlainTable>
      <thead>
        <tr>
          <th scope="col">{t.field}</th>
          <th scope="col">{t.before}</th>
          <th scope="col">{t.after}</th>
        </tr>
      </thead>
      <tbody>
        {changed.map((one) => (
          <tr key={one.field}>
            <th scope="row">{one.field || '–'}</th>
            <td>{value(one.before)}</td>
            <td>{value(one.after)}</td>
          </tr>
        ))}
      </tbody>
    </PlainTable>
  );
}
