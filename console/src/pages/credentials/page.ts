import { SafetyCertificateOutlined } from '@ant-design/icons';
import { definePage } from '../registry';

export default definePage({
  name: 'credentials',
  title: { en: 'Credentials', 'zh-CN': '上游凭证', 'zh-TW': '上游憑證' },
  icon: SafetyCertificateOutlined,
  group: 'upkeep',
  order: 10,
  need: 'read',
  load: () => import('./Credentials'),
});
