// Wallets: whose there are, and one opened by `?user=`.

import { Link, useNavigate, useSearchParams } from 'react-router';
import type { Schemas } from '../../api/client';
import { listOf } from '../../api/queries';
import { pageUrl } from '../../api/urls';
import { useTexts } from '../../i18n/language';
import { type Column, DataTable } from '../../ui/DataTable';
import { EmptyState } from '../../ui/EmptyState';
import { PageHead } from '../../ui/PageHead';
import { Points } from '../../ui/Points';
import { plainPoints } from '../../ui/points';
import { OneWallet } from './OneWallet';
import { walletTexts } from './texts';

const source = listOf('/api/users');

export default function Wallets() {
  const [search] = useSearchParams();
  const user = search.get('user');
  return user ? <OneWallet key={user} userId={user} /> : <List />;
}

function List() {
  const t = useTexts(walletTexts);
  const navigate = useNavigate();
  const columns = useColumns();
  const begin = (
    <Link className="primary-link" to={pageUrl('users')}>
      {t.toUsers}
    </Link>
  );
  return (
    <div className="page">
      <PageHead title={t.title} lead={t.lead} />
      <DataTable
        name="wallets"
        label={t.title}
        source={source}
        columns={columns}
        filters={[{ kind: 'text', name: 'q', label: t.search }]}
        rowKey={(user) => user.id}
        actions={(user) => [
          {
            key: 'open',
            label: t.open,
            onPick: () => void navigate(pageUrl('wallets', { user: user.id })),
          },
        ]}
        empty={<EmptyState title={t.emptyTitle} hint={t.emptyHint} action={begin} />}
      />
    </div>
  );
}

function useColumns(): readonly Column<Schemas['User']>[] {
  const t = useTexts(walletTexts);
  return [
    {
      key: 'user',
      title: t.user,
      csv: (user) => user.id,
      render: (user) => (
        <span className="cell-two">
          <Link to={pageUrl('wallets', { user: user.id })}>{user.name || user.id}</Link>
          <small>{user.id}</small>
        </span>
      ),
    },
    {
      key: 'email',
      title: t.email,
      isHiddenOnPhone: true,
      csv: (user) => user.email,
      render: (user) => user.email ?? <span className="muted">–</span>,
    },
    {
      key: 'balance',
      title: t.balance,
      isNumber: true,
      csv: (user) => plainPoints(user.balance_micros),
      render: (user) => <Points micros={user.balance_micros} />,
    },
  ];
}
