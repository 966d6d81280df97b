import { SafetyCertificateOutlined } from '@ant-design/icons';
import { definePage } from '../registry';

export default definePage({
  name: 'tokens',
  title: { en: 'Tokens', 'zh-CN': '令牌', 'zh-TW': '權杖' },
  icon: SafetyCertificateOutlined,
  group: 'access',
  order: 20,
  need: 'read',
  load: () => import('./Tokens'),
});
