// Every charge, to look into, to give back, and to compute again.

import { Link } from 'react-router';
import { pageUrl } from '../../api/urls';
import { useTexts } from '../../i18n/language';
import { EmptyState } from '../../ui/EmptyState';
import { PageHead } from '../../ui/PageHead';
import { ChargeTable } from './ChargeTable';
import { chargeTexts } from './texts';

export default function Charges() {
  const t = useTexts(chargeTexts);
  const begin = (
    <Link className="primary-link" to={pageUrl('models')}>
      {t.toModels}
    </Link>
  );
  return (
    <div className="page">
      <PageHead title={t.title} lead={t.lead} />
      <ChargeTable
        label={t.title}
        empty={<EmptyState title={t.emptyTitle} hint={t.emptyHint} action={begin} />}
      />
    </div>
  );
}
