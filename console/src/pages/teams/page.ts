import { TeamOutlined } from '@ant-design/icons';
import { definePage } from '../registry';

export default definePage({
  name: 'teams',
  title: { en: 'Teams', 'zh-CN': '团队', 'zh-TW': '團隊' },
  icon: TeamOutlined,
  group: 'access',
  order: 30,
  need: 'read',
  load: () => import('./Teams'),
});
